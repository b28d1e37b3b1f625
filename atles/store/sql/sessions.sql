-- name: user
select id from users where name = :name

-- name: add_user
insert into users (name) values (:name) returning id

-- name: user_names
select name from users order by id

-- name: users
select u.name, count(s.number) as sessions from users u left join sessions s on s.user = u.id
group by u.id order by u.id

-- name: get
select s.*, u.name as user_name from sessions s join users u on u.id = s.user where s.session_id = :session_id

-- name: number
select number from sessions where session_id = :session_id

-- name: count
select coalesce(max(number), 0) as n from sessions -- none is ever deleted

-- name: list
select s.session_id, s.revision, s.split, s.start_time, s.end_time, s.received_at, s.message_count, s.waiting_for,
    u.name as user,
    (select count(*) from examples e where e.session_id = s.session_id and e.withdrawn_at is null) as examples,
    (select group_concat(step || ': ' || error, '; ') from steps t
        where t.session_id = s.session_id and t.revision = s.revision and t.error <> '') as errors,
    exists (select 1 from session_logs l where l.session_id = s.session_id and l.revision = s.revision) as logged
from sessions s join users u on u.id = s.user
order by s.received_at, s.number

-- name: messages
select * from messages where session = :session order by position

-- name: message
select * from messages where id >= :id and id < :behind limit 2 -- ids are hexadecimal

-- name: message_ids
select id from messages where session = :session order by position

-- name: put
insert into sessions (session_id, number, user, revision, split, start_time, end_time, received_at, message_count, metadata)
values (:session_id, coalesce((select max(number) from sessions), 0) + 1, :user, :revision, :split, :start_time,
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

-- name: forget_message
update messages set text = '', name = '', timed = 0,
    raw = json_patch( -- whom it follows says nothing of what it said
        json_object('role', role, 'content', '', 'forgotten', :at),
        iif(json_extract(raw, '$.metadata.parent') is null, '{}',
            json_object('metadata', json_object('parent', json_extract(raw, '$.metadata.parent'))))
    )
where rowid = :rowid

-- name: of_messages
select distinct s.session_id from messages m join sessions s on s.number = m.session
where m.rowid in (select value from json_each(:rowids)) order by s.number

-- name: answers_to
select a.rowid from messages q join messages a on a.session = q.session and a.position > q.position
    and q.position = coalesce(json_extract(a.raw, '$.metadata.parent'), a.position - 1) -- one may be made again
where q.rowid in (select value from json_each(:rowids)) and q.role = 'user' and a.role = 'assistant'

-- name: ending_with
select s.session_id, json_extract(s.metadata, '$.chain') as chain
from json_each(:keys) k join sessions s on json_extract(s.metadata, '$.chain') = k.value
order by k.key, s.number desc limit 1

-- name: answered
select s.session_id, m.position from messages m join sessions s on s.number = m.session
where json_extract(m.raw, '$.metadata.answer') = :id and m.raw is not null limit 2
