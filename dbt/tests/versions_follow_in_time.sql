-- A later version was not seen earlier.
select change_seq, valid_from, valid_to
from {{ ref('fct_video_job_changes') }}
where valid_to < valid_from
