/* "dmsd user …": users, roles and access keys on the command line, by way of the running broker's
 * REST door. */
#ifndef MAIN_USER_H
#define MAIN_USER_H

/* values[0] is "user". Who does it is in the environment, as for OpenStack's clients (OS_AUTH_URL,
 * OS_USERNAME, OS_PASSWORD and so on: ". admin-credentials" sets them). New passwords come from
 * standard input. The exit status. */
int main_user(int count, char **values);

#endif
