/* The commands that the application executes, sent to its command topic. */

#ifndef COMMANDS_H
#define COMMANDS_H

/** Executes a command; an unknown one is logged and otherwise ignored. */
void command_obey(const char *text);

#endif
