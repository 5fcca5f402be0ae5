/* The lines the runner pends: eight handlers of seven priorities, which spoil what they may and check what they must. */

#ifndef HANDLERS_H
#define HANDLERS_H

/* Sets their priorities and enables them. */
void handlers_enable(void);

#endif
