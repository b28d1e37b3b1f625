-- name: put
insert into jobs (kind, key, lane, payload, state, run_after, created_at)
values (:kind, :key, :lane, :payload, 'waiting', :due, :at)
on conflict (key) where state = 'waiting' do nothing

-- name: claimable
select 1
where exists (select 1 from jobs where lane = :lane and state = 'running' and lease_until < :now)
    or exists (select 1 from jobs where lane = :lane and state = 'waiting' and run_after <= :now)

-- name: claim
update jobs
set state = 'running', attempts = attempts + 1, lease_owner = :owner, lease_until = :until
where id = coalesce(
    (select id from jobs where lane = :lane and state = 'running' and lease_until < :now
        order by lease_until, id limit 1),
    (select id from jobs where lane = :lane and state = 'waiting' and run_after <= :now
        order by run_after, id limit 1)
)
returning *

-- name: renew
update jobs set lease_until = :until where id = :id and state = 'running' and lease_owner = :owner

-- name: done
delete from jobs where id = :id and state = 'running' and lease_owner = :owner

-- name: retry
update jobs set state = 'waiting', run_after = :run_after, error = :error, lease_owner = ''
where id = :id and state = 'running' and lease_owner = :owner

-- name: bury
update jobs set state = 'dead', finished_at = :at, error = :error
where id = :id and state = 'running' and lease_owner = :owner

-- name: give_back
update jobs set state = 'waiting', attempts = attempts - 1, lease_owner = ''
where id = :id and state = 'running' and lease_owner = :owner

-- name: release_others
update jobs set lease_until = 0 where state = 'running' and lease_owner <> :owner

-- name: revive
update or ignore jobs set state = 'waiting', attempts = 0, run_after = :now, finished_at = null
where state = 'dead' and (:key is null or key = :key)

-- name: dead
select * from jobs where state = 'dead' order by id

-- name: open
-- By the two indexes: nothing that is done is looked at.
select * from jobs
where id in (select id from jobs where state = 'waiting' union all select id from jobs where state = 'running')
order by id

-- name: next_due
select min(due) as due from (
    select min(run_after) as due from jobs where lane = :lane and state = 'waiting'
    union all
    select min(lease_until) from jobs where lane = :lane and state = 'running'
)

-- name: shift
update jobs set run_after = min(run_after + :by, :latest)
where state = 'waiting' and run_after > :after and run_after < :until
