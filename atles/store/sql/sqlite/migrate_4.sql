-- From version 4 to 5: keys of the gateway, feedback. Nothing that was there changes.

-- The present tables are made at this place:
-- @schema
