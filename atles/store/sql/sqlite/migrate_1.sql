-- From version 1 to 2: users, numbered sessions, messages without a second copy of their words, reconciled memories.
-- What was learned before is learned again, by the jobs put at the end: it was not scrubbed.

alter table sessions rename to sessions_1;
alter table messages rename to messages_1;
drop table messages_fts;

-- The present tables are made at this place:
-- @schema

insert into users (name)
select distinct coalesce(json_extract(raw, '$.metadata.user'), json_extract(raw, '$.metadata.user_id'), '')
from sessions_1;

insert into sessions (session_id, revision, split, start_time, end_time, received_at, message_count, waiting_for,
    number, user, metadata)
select s.session_id, s.revision, s.split, s.start_time, s.end_time, s.received_at, s.message_count, s.waiting_for,
    s.rowid, u.id, coalesce(json_extract(s.raw, '$.metadata'), '{}')
from sessions_1 s join users u
    on u.name = coalesce(json_extract(s.raw, '$.metadata.user'), json_extract(s.raw, '$.metadata.user_id'), '');

insert into messages (rowid, id, session, position, role, name, text, timestamp, raw, rejected)
select s.user << 40 | m.rowid, m.id, s.number, m.position, m.role,
    coalesce(json_extract(old.raw, '$.messages[' || m.position || '].name'), ''), m.text,
    coalesce(strftime('%Y-%m-%dT%H:%M:%S+00:00', m.timestamp), strftime('%Y-%m-%dT%H:%M:%S+00:00', s.received_at)),
    json_extract(old.raw, '$.messages[' || m.position || ']'), m.rejected
from messages_1 m join sessions s using (session_id) join sessions_1 old using (session_id);

drop table messages_1;
drop table sessions_1;

insert or ignore into jobs (kind, key, lane, payload, state, run_after, created_at)
select 'memory', 'memory:' || session_id || '#' || revision, 'learn',
    json_object('session_id', session_id, 'revision', revision), 'waiting', 0,
    strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')
from sessions;
