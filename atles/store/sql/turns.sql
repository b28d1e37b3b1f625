-- name: last
select max(rowid) as last from messages where rowid between :first and :last
