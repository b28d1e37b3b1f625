-- name: forget_entries
update session_logs set entry = jsonb_set(as_json(entry), '{improvements}', '[]')::text where session_id = :session_id

-- name: forget_steps
update steps
set result = jsonb_set(jsonb_set(as_json(result), '{insights_extracted}', '[]'), '{patterns_identified}', '[]')::text
where session_id = :session_id and step = 'memory'
