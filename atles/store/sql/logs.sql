-- name: put_step
insert into steps (session_id, revision, step, seconds, attempts, error, result, at)
values (:session_id, :revision, :step, :seconds, :attempts, :error, :result, :at)
on conflict (session_id, revision, step) do update set
    seconds = :seconds, attempts = :attempts, error = :error, result = :result, at = :at

-- name: steps
select * from steps where session_id = :session_id and revision = :revision

-- name: add
insert into session_logs (session_id, revision, at, entry) values (:session_id, :revision, :at, :entry)

-- name: remove
delete from session_logs where session_id = :session_id and revision = :revision

-- name: after
select seq, at, entry from session_logs where seq > :seq order by seq limit :most

-- name: named
select session_id, revision, at from session_logs where seq = :seq

-- name: last
select max(seq) as seq from session_logs having count(*) > 0

-- name: of_session
select at, entry from session_logs where session_id = :session_id order by revision

-- name: totals
select
    s.number as sessions_processed,
    s.messages as total_messages,
    (select count(*) from memories) + (select count(*) from topics) as total_memory_items,
    (select count(*) from adapters) as total_fine_tunes
from (
    select count(*) as number, cast(coalesce(sum(message_count), 0) as bigint) as messages from sessions
    where session_id in (select session_id from session_logs)
) s
