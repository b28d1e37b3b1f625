-- From version 5 to 6: a job that is done is gone; nobody asked for it again.

-- The present tables are made at this place:
-- @schema

delete from jobs where state = 'done';
