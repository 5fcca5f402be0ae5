/* The lines that the runner pends: eight handlers of seven priorities, which overwrite all they may and check the rest. */

#ifndef HANDLERS_H
#define HANDLERS_H

/* Sets their priorities and enables them. */
void handlers_enable(void);

#endif
