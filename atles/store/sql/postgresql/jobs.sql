-- The queue is Procrastinate's: its tables, its functions. What is asked of them stands here.

-- name: put
select put_job(:queue, :kind, :priority, :order, :key, :args, :delay)

-- name: claim
select j.*, coalesce(n.error, '') as error, coalesce(n.forgiven, 0) as forgiven
from procrastinate_fetch_job_v2(:queues, :worker) j left join job_notes n on n.job = j.id
where j.id is not null

-- name: done
with mine as materialized (
    select id from procrastinate_jobs where id = :job and status = 'doing' and worker_id = :worker for update)
select procrastinate_finish_job_v1(id, 'succeeded', true) from mine

-- name: bury
with mine as materialized (
    select id from procrastinate_jobs where id = :job and status = 'doing' and worker_id = :worker for update)
select procrastinate_finish_job_v1(id, 'failed', false) from mine

-- name: mine
select 1 from procrastinate_jobs where id = :job and status = 'doing' and worker_id = :worker for update

-- name: free
select free_job(:job, :delay) as waits

-- name: drop
select procrastinate_finish_job_v1(:job, 'succeeded', true)

-- name: note
insert into job_notes (job, error, forgiven) values (:job, :error, :forgiven)
on conflict (job) do update set error = excluded.error, forgiven = job_notes.forgiven + excluded.forgiven

-- name: stalled
select j.id from procrastinate_jobs j left join procrastinate_workers w on w.id = j.worker_id
where j.status = 'doing' and (w.id is null or w.last_heartbeat < now() - make_interval(secs => :seconds))
order by j.id for update of j skip locked

-- name: mislaid
-- Of a worker that lives, what it does not know of: the answer to its claim was lost with a connection.
select j.id from procrastinate_jobs j
where j.status = 'doing' and j.worker_id = :worker and not j.id = any(:held) and now() - make_interval(secs => :seconds) >
    (select max(e.at) from procrastinate_events e where e.job_id = j.id and e.type = 'started')
order by j.id for update of j skip locked

-- name: open
select j.*, coalesce(n.error, '') as error, coalesce(n.forgiven, 0) as forgiven
from procrastinate_jobs j left join job_notes n on n.job = j.id
where j.status in ('todo', 'doing') order by j.id

-- name: dead
select j.*, coalesce(n.error, '') as error, coalesce(n.forgiven, 0) as forgiven
from procrastinate_jobs j left join job_notes n on n.job = j.id
where j.status = 'failed' and (:key::text is null or j.queueing_lock = :key) order by j.id for update of j

-- name: next_due
-- Of each order the first only: whoever ends that one claims on.
with first as (
    select distinct on (lock) status, scheduled_at, queue_name from procrastinate_jobs
    where status in ('todo', 'doing') and lock is not null
    order by lock, status = 'doing' desc, priority desc, id
), free as (
    select status, scheduled_at, queue_name from procrastinate_jobs where status = 'todo' and lock is null
)
select extract(epoch from min(greatest(coalesce(scheduled_at, now()), now())) - now())::double precision as seconds
from (select * from first union all select * from free) j
where status = 'todo' and queue_name = any(:queues)

-- name: busy
select exists (
    select 1 from procrastinate_jobs
    where status in ('todo', 'doing') and split_part(queue_name, '@', 1) = any(:kinds)) as busy

-- name: register
select worker_id from procrastinate_register_worker_v1()

-- name: introduce
insert into workers (id, name, steps, labels, started_at) values (:id, :name, :steps, :labels, :at)

-- name: beat
update procrastinate_workers set last_heartbeat = now() where id = :worker

-- name: leave
select procrastinate_unregister_worker_v1(:worker)

-- name: prune
select worker_id from procrastinate_prune_stalled_workers_v1(:seconds)

-- name: workers
select w.*, extract(epoch from now() - p.last_heartbeat)::double precision as silent,
    coalesce((select string_agg(j.queueing_lock, ', ' order by j.id) from procrastinate_jobs j
        where j.worker_id = w.id and j.status = 'doing'), '') as doing
from workers w join procrastinate_workers p using (id) order by w.started_at, w.id

-- name: by_queue
select queue_name as queue, status::text as state, count(*) as n from procrastinate_jobs
where status in ('todo', 'doing', 'failed') group by queue_name, status order by queue_name, status
