-- What is told to whoever writes to a store that was moved away. Once its table `moving` is dropped, nothing any more.
create or replace function refuse_moved() returns trigger language plpgsql as $$
declare
    moved_to text;
begin
    if to_regclass(quote_ident(tg_table_schema) || '.moving') is not null then
        execute format(
            $query$ select home || ' on ' || at from %I.moving where state = 'moved' $query$, tg_table_schema
        ) into moved_to;
        if moved_to is not null then
            raise exception 'what was in it was moved to % and goes on there; name another store.url or store.schema, or none',
                moved_to;
        end if;
    end if;
    return null;
end;
$$;
