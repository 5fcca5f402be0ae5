/* What the application can be told to do by a message to its command topic. */

#ifndef COMMANDS_H
#define COMMANDS_H

/** Does what the text says; an unknown command is logged and otherwise ignored. */
void command_obey(const char *text);

#endif
