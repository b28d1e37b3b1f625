-- name: index
insert into memories_fts (rowid, text) select number, text from memories where id = :id

-- name: unindex
insert into memories_fts (memories_fts, rowid, text) select 'delete', number, text from memories where id = :id

-- name: like
select m.* from memories_fts join memories m on m.number = memories_fts.rowid
where memories_fts match :match and memories_fts.rowid between :first and :last
order by bm25(memories_fts) limit :limit

-- name: refusals
select r.key as reason, sum(r.value) as n
from steps, json_each(steps.result, '$.refused') r
where steps.step = 'memory'
group by r.key order by n desc

-- name: wipe
insert into memories_fts (memories_fts) values ('optimize')
