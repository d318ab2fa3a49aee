//! Servers, calls, tasks, supervised send and dead letters on OS threads.
