-- name: withdraw_all
update examples set withdrawn_at = :at where session_id = :session_id and withdrawn_at is null

-- name: put
insert into examples (id, session_id, message_id, kind, instruction, output, messages, created_at, rejected)
values (:id, :session_id, :message_id, :kind, :instruction, :output, :messages, :at, :rejected)
on conflict (id) do update set
    withdrawn_at = null, instruction = :instruction, output = :output, messages = :messages,
    rejected = :rejected

-- name: ids
select id from examples where session_id = :session_id

-- name: of_split
select e.* from examples e join sessions s using (session_id)
where s.split = :split and e.withdrawn_at is null
order by e.rowid

-- name: count_new
select count(*) as n from examples e join sessions s using (session_id)
where s.split = 'train' and e.withdrawn_at is null
    and not exists (
        select 1 from dataset_examples de join adapters a using (dataset_id) where de.example_id = e.id
    )

-- name: count_heldout
select count(distinct e.message_id) as n from examples e join sessions s using (session_id)
where s.split = 'heldout' and e.withdrawn_at is null and e.kind <> 'restated'

-- name: unjudged
select count(*) as n from examples e join sessions s using (session_id)
where e.session_id = :session_id and s.split = 'train' and e.withdrawn_at is null
    and not exists (
        select 1 from dataset_examples de join adapters a using (dataset_id)
        where de.example_id = e.id and a.state <> 'candidate'
    )

-- name: put_dataset
insert into datasets (id, path, manifest, created_at) values (:id, :path, :manifest, :at)
on conflict (id) do nothing

-- name: put_dataset_example
insert into dataset_examples (dataset_id, example_id) values (:dataset_id, :example_id)
on conflict do nothing

-- name: dataset
select * from datasets where id = :id

-- name: lineage
select e.id as example_id, e.session_id, e.message_id, e.kind
from dataset_examples de join examples e on e.id = de.example_id
where de.dataset_id = :dataset_id
order by e.rowid

-- name: of_session
select * from examples where session_id = :session_id and withdrawn_at is null order by rowid

-- name: blank
update examples set instruction = '', output = '', messages = '[]', rejected = '', withdrawn_at = coalesce(withdrawn_at, :at)
where session_id = :session_id
