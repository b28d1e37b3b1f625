-- name: next_number
select coalesce(max(number), 0) + 1 as n from sessions -- none is ever deleted

-- name: list
select s.session_id, s.revision, s.split, s.start_time, s.end_time, s.received_at, s.message_count, s.waiting_for,
    u.name as user,
    (select count(*) from examples e where e.session_id = s.session_id and e.withdrawn_at is null) as examples,
    (select group_concat(step || ': ' || error, '; ') from steps t
        where t.session_id = s.session_id and t.revision = s.revision and t.error <> '') as errors,
    exists (select 1 from session_logs l where l.session_id = s.session_id and l.revision = s.revision) as logged
from sessions s join users u on u.id = s.user
order by s.received_at, s.number

-- name: forget_message
update messages set text = '', name = '', timed = 0,
    raw = json_patch( -- whom it follows says nothing of what it said
        json_object('role', role, 'content', '', 'forgotten', :at),
        iif(json_extract(raw, '$.metadata.parent') is null, '{}',
            json_object('metadata', json_object('parent', json_extract(raw, '$.metadata.parent'))))
    )
where rowid = :rowid

-- name: ending_with
select s.session_id, json_extract(s.metadata, '$.chain') as chain
from json_each(:keys) k join sessions s on json_extract(s.metadata, '$.chain') = k.value
order by k.key, s.number desc limit 1
