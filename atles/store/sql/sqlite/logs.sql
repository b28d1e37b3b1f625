-- name: forget_entries
update session_logs set entry = json_set(entry, '$.improvements', json('[]')) where session_id = :session_id

-- name: forget_steps
update steps set result = json_set(result, '$.insights_extracted', json('[]'), '$.patterns_identified', json('[]'))
where session_id = :session_id and step = 'memory'
