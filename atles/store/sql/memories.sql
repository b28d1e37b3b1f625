-- name: put_session
insert into session_memories (session_id, timestamp, topics, preferences, message_count, data)
values (:session_id, :timestamp, :topics, :preferences, :message_count, :data)
on conflict (session_id) do update set
    timestamp = :timestamp, topics = :topics, preferences = :preferences, message_count = :message_count, data = :data

-- name: sessions
select * from session_memories order by id desc

-- name: session
select * from session_memories where session_id = :id or id = :number order by session_id = :id desc limit 1

-- name: reject
update messages set rejected = 1 where id = :id

-- name: last
select max(number) as number from memories where number between :first and :last

-- name: add
insert into memories (number, id, "user", type, text, folded, said_by, confidence, slot, value, valid_from, valid_to,
    replaced_by, ended_how, pinned, edited, extractor, created_at)
values (:number, :id, :user, :type, :text, :folded, :said_by, :confidence, :slot, :value, :valid_from, :valid_to,
    :replaced_by, :ended_how, :pinned, :edited, :extractor, :created_at)

-- name: add_source
insert into memory_sources (memory, message)
select m.number, :message from memories m where m.id = :id
on conflict do nothing

-- name: drop_source
delete from memory_sources
where memory = (select number from memories where id = :id) and message between :first and :last
    and message in (select rowid from messages where session = :session)

-- name: drop_messages
delete from memory_sources where message in (select value from json_each(:messages))

-- name: sources
select s.session_id, m.id, m.rowid, m.position
from memory_sources ms join messages m on m.rowid = ms.message join sessions s on s.number = m.session
where ms.memory = :memory order by m.timestamp, m.rowid

-- name: of_session
select distinct m.* from messages x join memory_sources ms on ms.message = x.rowid join memories m on m.number = ms.memory
where x.session = :session order by m.number

-- name: of_messages
select ms.message, m.* from memory_sources ms join memories m on m.number = ms.memory
where ms.message in (select value from json_each(:messages))

-- name: same_words
select * from memories where "user" = :user and folded = :folded order by valid_from

-- name: in_slot
select * from memories where "user" = :user and slot = :slot order by valid_from

-- name: end
update memories set valid_to = :at, replaced_by = :by, ended_how = :how where id = :id and (valid_to is null or valid_to > :at)

-- name: held_from
update memories set valid_from = :at where id = :id and valid_from > :at

-- name: reopen
update memories set valid_to = null, replaced_by = '', ended_how = '' where replaced_by = :id

-- name: inherit
-- What a vanishing memory replaced is now replaced by what replaced that one, if anything did.
update memories set replaced_by = :heir, valid_to = :until where replaced_by = :id

-- name: delete
delete from memories where id = :id

-- name: edit
update memories set text = :text, folded = :folded, edited = 1, said_by = 'you' where id = :id

-- name: pin
update memories set pinned = :pinned where id = :id

-- name: used
update memories set uses = uses + 1, last_used_at = :at where id = :id

-- name: get
select * from memories where id = :id

-- name: begin_with
select * from memories where substr(id, 1, length(cast(:id as text))) = :id order by id limit 6

-- name: list
select m.*, (select count(*) from memory_sources ms where ms.memory = m.number) as said
from memories m
where m.user = :user and (cast(:type as text) is null or m.type = :type) and (:all = 1 or m.valid_to is null)
order by m.valid_from desc, m.number desc

-- name: newest
select * from memories where number between :first and :last and type in ('fact', 'correction')
    and (valid_to is null or valid_to > cast(:at as text)) and (cast(:at as text) is null or valid_from <= :at)
order by number desc limit :limit

-- name: by_hand
select * from memories where "user" = :user and edited = 1 order by number desc limit 1000

-- name: count
select count(*) as n from memories

-- name: fading
select id from memories
where valid_to is null and pinned = 0 and edited = 0
    and coalesce(last_used_at, '') < :before and valid_from < :before
    and not exists (
        select 1 from memory_sources ms join messages x on x.rowid = ms.message
        where ms.memory = memories.number and x.timestamp >= :before)

-- name: add_topic
insert into topics ("user", folded, text) values (:user, :folded, :text) on conflict ("user", folded) do nothing

-- name: add_topic_session
insert into topic_sessions (topic, session)
select number, :session from topics where "user" = :user and folded = :folded on conflict do nothing

-- name: drop_topic_sessions
delete from topic_sessions where session = :session

-- name: drop_topics
delete from topics where not exists (select 1 from topic_sessions where topic = topics.number)

-- name: topics
select t.text, count(*) as sessions, max(s.received_at) as last
from topics t join topic_sessions ts on ts.topic = t.number join sessions s on s.number = ts.session
where t.user = :user group by t.number order by sessions desc, last desc
