-- name: get
select * from sessions where session_id = :session_id

-- name: count
select count(*) as n from sessions

-- name: list
select s.session_id, s.revision, s.split, s.start_time, s.end_time, s.received_at, s.message_count, s.waiting_for,
    (select count(*) from examples e where e.session_id = s.session_id and e.withdrawn_at is null) as examples,
    (select group_concat(step || ': ' || error, '; ') from steps t
        where t.session_id = s.session_id and t.revision = s.revision and t.error <> '') as errors,
    exists (select 1 from session_logs l where l.session_id = s.session_id and l.revision = s.revision) as logged
from sessions s
order by s.received_at, s.rowid

-- name: message_ids
select id from messages where session_id = :session_id order by position

-- name: put
insert into sessions (session_id, revision, split, start_time, end_time, received_at, message_count, raw)
values (:session_id, :revision, :split, :start_time, :end_time, :received_at, :message_count, :raw)
on conflict (session_id) do update set
    revision = :revision, end_time = :end_time, received_at = :received_at, message_count = :message_count,
    waiting_for = '', raw = :raw

-- name: add_message
insert into messages (id, session_id, position, role, text, timestamp)
values (:id, :session_id, :position, :role, :text, :timestamp)
on conflict (id) do nothing

-- name: wait_for
update sessions set waiting_for = :what where session_id = :session_id

-- name: waiting_for_training
select session_id from sessions where waiting_for = 'training' order by received_at, rowid
