"""Schedules: what clients give (`models`), and the dates that come of it (`dates`, `cron`, `rrules`, `zones`)."""
