-- name: pending
select rowid, text from messages m
where not exists (select 1 from turn_vectors v where v.rowid = m.rowid) and role in ('user', 'assistant') and text <> ''
order by rowid desc limit :limit

-- name: put
insert into turn_vectors (rowid, vector)
select :rowid, :vector where exists (select 1 from messages where rowid = :rowid and text <> '')
on conflict (rowid) do update set vector = :vector

-- name: of
select rowid, vector from turn_vectors where rowid in (select value from json_each(:rowids))

-- name: count
select count(*) as n from turn_vectors

-- name: remove
delete from turn_vectors where rowid = :rowid
