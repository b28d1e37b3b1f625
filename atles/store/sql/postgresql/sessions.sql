-- name: next_number
select nextval('session_numbers') as n

-- name: list
select s.session_id, s.revision, s.split, s.start_time, s.end_time, s.received_at, s.message_count, s.waiting_for,
    u.name as user,
    (select count(*) from examples e where e.session_id = s.session_id and e.withdrawn_at is null) as examples,
    (select string_agg(step || ': ' || error, '; ' order by at) from steps t
        where t.session_id = s.session_id and t.revision = s.revision and t.error <> '') as errors,
    exists (select 1 from session_logs l where l.session_id = s.session_id and l.revision = s.revision)::int as logged
from sessions s join users u on u.id = s.user
order by s.received_at, s.number

-- name: forget_message
update messages set text = '', name = '', timed = 0,
    raw = (jsonb_build_object('role', role, 'content', '', 'forgotten', :at::text)
        || case when json_extract(raw, '$.metadata.parent') is null then '{}'
            else jsonb_build_object('metadata',
                jsonb_build_object('parent', cast(json_extract(raw, '$.metadata.parent') as integer))) end)::text
where rowid = :rowid

-- name: ending_with
select s.session_id, json_extract(s.metadata, '$.chain') as chain
from jsonb_array_elements_text(:keys::jsonb) with ordinality k (value, key)
    join sessions s on json_extract(s.metadata, '$.chain') = k.value
order by k.key, s.number desc limit 1
