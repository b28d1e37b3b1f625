-- name: new
select m.rowid, m.name, m.text, m.timestamp from messages m
where m.session = :session and m.role in ('user', 'assistant') and m.text <> ''
    and not exists (select 1 from turns_docsize d where d.id = m.rowid)
order by m.rowid

-- name: add
insert into turns (rowid, text) values (:rowid, :text)

-- name: of_session
select m.rowid, m.name, m.text, m.timestamp from messages m
where m.session = :session and exists (select 1 from turns_docsize d where d.id = m.rowid)

-- name: of_rowids
select m.rowid, m.name, m.text, m.timestamp from messages m
where m.rowid in (select value from json_each(:rowids))
    and exists (select 1 from turns_docsize d where d.id = m.rowid)

-- name: remove
insert into turns (turns, rowid, text) values ('delete', :rowid, :text)

-- name: wipe
insert into turns (turns) values ('optimize')

-- name: with_word
select json_group_array(rowid - :first) as found from turns where turns match :word and rowid between :first and :last

-- name: how_many
select count(*) as n from turns where turns match :word and rowid between :first and :last

-- name: get
select m.rowid, m.id, m.session, s.session_id, m.position, s.message_count, m.role, m.name, m.text, m.timestamp
from json_each(:rowids) j cross join messages m on m.rowid = j.value join sessions s on s.number = m.session
where not m.rejected and m.text <> '' and m.role in ('user', 'assistant') and (:at is null or m.timestamp <= :at)
