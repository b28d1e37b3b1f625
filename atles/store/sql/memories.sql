-- name: put
insert into session_memories (session_id, timestamp, topics, preferences, message_count, data)
values (:session_id, :timestamp, :topics, :preferences, :message_count, :data)
on conflict (session_id) do update set
    timestamp = :timestamp, topics = :topics, preferences = :preferences, message_count = :message_count, data = :data

-- name: index_messages
insert into messages_fts (rowid, body, previous)
select m.rowid, m.text, coalesce(p.text, '')
from messages m left join messages p on p.session_id = m.session_id and p.position = m.position - 1
where m.session_id = :session_id and m.role in ('user', 'assistant') and m.text <> ''
    and m.rowid not in (select rowid from messages_fts where rowid = m.rowid)
order by m.position

-- name: reject
update messages set rejected = 1 where id = :id

-- name: search
select m.session_id, m.id, m.role, m.text, m.timestamp, bm25(messages_fts, 1.0, 0.4) as rank
from messages_fts join messages m on m.rowid = messages_fts.rowid
where messages_fts match :match and not m.rejected
order by rank limit :limit

-- name: list
select * from session_memories order by id desc

-- name: get
select * from session_memories where id = :id

-- name: by_session
select * from session_memories where session_id = :session_id
