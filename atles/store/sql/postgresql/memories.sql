-- name: index
insert into memories_fts (number, words) select number, to_tsvector('words', :words) from memories where id = :id

-- name: unindex
delete from memories_fts where number = (select number from memories where id = :id)

-- name: like
select m.* from memories_fts f join memories m using (number)
where f.words @@ to_tsquery('words', :match) and f.number between :first and :last
order by ts_rank(f.words, to_tsquery('words', :match)) desc, f.number limit :limit

-- name: wipe
select 1 where false -- a row that is deleted takes its words with it

-- name: refusals
select r.key as reason, sum(r.value::bigint)::bigint as n
from steps, jsonb_each_text(coalesce(as_json(steps.result) -> 'refused', '{}')) r
where steps.step = 'memory'
group by r.key order by n desc
