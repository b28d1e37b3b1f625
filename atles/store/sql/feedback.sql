-- name: put
insert into feedback (session_id, position, rating, text, at) values (:session_id, :position, :rating, :text, :at)
on conflict (session_id, position) do update set rating = :rating, text = :text, at = :at

-- name: of_session
select position, rating, text from feedback where session_id = :session_id order by position

-- name: accept
update messages set rejected = 0
where rejected = 1 and session = (select number from sessions where session_id = :session_id)
    and position in (select position from feedback where session_id = :session_id)

-- name: answer
select s.session_id, m.position from messages m join sessions s on s.number = m.session where m.id = :id

-- name: remove
delete from feedback where exists (
    select 1 from messages m join sessions s on s.number = m.session
    where m.rowid in (select value from json_each(:rowids))
        and s.session_id = feedback.session_id and m.position = feedback.position)
