-- name: new
select m.rowid, m.name, m.text, m.timestamp from messages m
where m.session = :session and m.role in ('user', 'assistant') and m.text <> ''
    and not exists (select 1 from turns t where t.rowid = m.rowid)
order by m.rowid

-- name: add
insert into turns (rowid, words) values (:rowid, to_tsvector('words', :text))

-- name: of_session
select m.rowid, m.name, m.text, m.timestamp from messages m
where m.session = :session and exists (select 1 from turns t where t.rowid = m.rowid)

-- name: of_rowids
select m.rowid, m.name, m.text, m.timestamp from messages m
where m.rowid in (select value from json_each(:rowids)) and exists (select 1 from turns t where t.rowid = m.rowid)

-- name: remove
delete from turns where rowid = :rowid

-- name: wipe
select 1 where false -- a row that is deleted takes its words with it

-- name: with_word
select coalesce(json_agg(rowid - :first order by rowid)::text, '[]') as found from turns
where words @@ to_tsquery('words', :word) and rowid between :first and :last

-- name: how_many
select count(*) as n from turns where words @@ to_tsquery('words', :word) and rowid between :first and :last

-- name: get
select m.rowid, m.id, m.session, s.session_id, m.position, s.message_count, m.role, m.name, m.text, m.timestamp
from jsonb_array_elements_text(:rowids::jsonb) with ordinality j (value, place)
    join messages m on m.rowid = j.value::bigint join sessions s on s.number = m.session
where m.rejected = 0 and m.text <> '' and m.role in ('user', 'assistant')
    and (:at::text is null or m.timestamp <= :at)
order by j.place
