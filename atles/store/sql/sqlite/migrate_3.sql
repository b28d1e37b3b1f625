-- From version 3 to 4: an example knows the answer that the user turned down for it.

alter table examples add column rejected text not null default '';

-- The present tables are made at this place:
-- @schema
