-- From version 2 to 3: an adapter that saw what was forgotten is retired.

alter table adapters rename to adapters_2;
alter table releases rename to releases_2;

-- The present tables are made at this place:
-- @schema

insert into adapters select * from adapters_2;
insert into releases select * from releases_2;
drop table adapters_2;
drop table releases_2;
