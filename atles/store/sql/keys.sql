-- name: add
insert into api_keys (id, name, hash, "user", admin, created_at) values (:id, :name, :hash, :user, :admin, :at)

-- name: get
select * from api_keys where id = :id

-- name: list
select * from api_keys order by created_at, id

-- name: remove
delete from api_keys where id = :id or name = :id

-- name: any
select exists (select 1 from api_keys) as any
