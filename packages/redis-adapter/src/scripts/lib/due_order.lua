-- Order of timers, see due.
--
-- A later deadline would block the list of all tasks, which is trimmed from its front once that is checked.
local LONGEST_IN_ORDER = 60 * 60 * 1000
-- Timers due in the same millisecond fire in the order of their scheduling: a fraction of a millisecond keeps it.
local ORDERED = 1000
