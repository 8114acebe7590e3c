-- The mean value of a day with a repeat purchase: all that was paid after the first day, by such days.
WITH began AS (SELECT row, min(day) AS day FROM purchase GROUP BY row)
SELECT
    p.row,
    CASE WHEN count(DISTINCT p.day) = 1 THEN 0
         ELSE coalesce(sum(p.value) FILTER (WHERE p.day > b.day), 0)
              / 100 / (count(DISTINCT p.day) - 1)
    END AS value
FROM purchase AS p
JOIN began AS b ON b.row = p.row
GROUP BY p.row
