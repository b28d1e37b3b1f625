-- name: user
select id from users where name = :name

-- name: add_user
insert into users (name) values (:name) on conflict (name) do update set name = excluded.name returning id

-- name: user_names
select name from users order by id

-- name: users
select u.name, count(s.number) as sessions from users u left join sessions s on s.user = u.id
group by u.id order by u.id

-- name: get
select s.*, u.name as user_name from sessions s join users u on u.id = s.user where s.session_id = :session_id

-- name: number
select number from sessions where session_id = :session_id

-- name: messages
select * from messages where session = :session order by position

-- name: message
select * from messages where id >= :id and id < :behind limit 2 -- ids are hexadecimal

-- name: message_ids
select id from messages where session = :session order by position

-- name: put
insert into sessions (session_id, number, "user", revision, split, start_time, end_time, received_at, message_count, metadata)
values (:session_id, :number, :user, :revision, :split, :start_time,
    :end_time, :received_at, :message_count, :metadata)
on conflict (session_id) do update set
    revision = :revision, end_time = :end_time, received_at = :received_at, message_count = :message_count,
    waiting_for = '', metadata = :metadata
returning number

-- name: last_message
select max(rowid) as rowid from messages where rowid between :first and :last

-- name: add_message
insert into messages (rowid, id, session, position, role, name, text, timestamp, timed, raw)
values (:rowid, :id, :session, :position, :role, :name, :text, :timestamp, :timed, :raw)

-- name: rewrite_message
update messages set role = :role, name = :name, text = :text, timestamp = :timestamp, timed = :timed, raw = :raw
where rowid = :rowid

-- name: rewrite_metadata
update sessions set metadata = :metadata where session_id = :session_id

-- name: wait_for
update sessions set waiting_for = :what where session_id = :session_id

-- name: waiting_for_training
select session_id from sessions where waiting_for = 'training' order by received_at, number

-- name: note_forgotten
insert into forgotten (session_id) values (:session_id)

-- name: forgotten_after
select seq, session_id from forgotten where seq > :seq order by seq

-- name: forgotten_in
select 1 from messages where session = :session and json_extract(raw, '$.forgotten') is not null limit 1

-- name: of_messages
select session_id, metadata from sessions
where number in (select session from messages where rowid in (select value from json_each(:rowids))) order by number

-- name: answers_to
select a.rowid from messages q join messages a on a.session = q.session and a.position > q.position
    and q.position = coalesce(cast(json_extract(a.raw, '$.metadata.parent') as integer), a.position - 1) -- one may be made again
where q.rowid in (select value from json_each(:rowids)) and q.role = 'user' and a.role = 'assistant'

-- name: answered
select s.session_id, m.position from messages m join sessions s on s.number = m.session
where json_extract(m.raw, '$.metadata.answer') = :id and m.raw is not null limit 2
