-- name: of
select tokens from spending where day = :day

-- name: add
insert into spending (day, tokens) values (:day, :tokens)
on conflict (day) do update set tokens = spending.tokens + :tokens
