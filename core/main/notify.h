/* Tells a service manager how the broker is: the sd_notify protocol. */
#ifndef MAIN_NOTIFY_H
#define MAIN_NOTIFY_H

/* Sends state ("READY=1", "STOPPING=1") to $NOTIFY_SOCKET; no-op when it is not set. */
void main_notify(const char *state);

#endif
