-- name: add
insert into adapters (name, base, dataset_id, path, state, reason, created_at, train)
values (:name, :base, :dataset_id, :path, :state, :reason, :created_at, :train)
on conflict (name) do nothing

-- name: judge
update adapters set state = :state, reason = :reason, verdict = :verdict where name = :name

-- name: retire
update adapters set state = 'retired', reason = :reason, verdict = null where name = :name

-- name: get
select * from adapters where name = :name

-- name: list
select * from adapters order by created_at, name

-- name: trained_on
select a.* from adapters a
where a.state <> 'candidate' and a.dataset_id in (
    select de.dataset_id from examples e join dataset_examples de on de.example_id = e.id where e.session_id = :session_id
)
order by a.created_at desc limit 1

-- name: active
select seq, adapter from releases order by seq desc limit 1

-- name: point
-- Two that expect the same want the same number: one of them gets it.
insert into releases (seq, adapter, previous, action, reason, at)
select :expected + 1, :adapter, coalesce((select adapter from releases order by seq desc limit 1), ''), :action, :reason,
    :at
where coalesce((select max(seq) from releases), 0) = :expected
on conflict (seq) do nothing

-- name: releases
select * from releases order by seq desc

-- name: that_saw
select a.name from adapters a
where a.dataset_id in (
    select de.dataset_id from examples e join dataset_examples de on de.example_id = e.id where e.session_id = :session_id
)
order by a.created_at, a.name
