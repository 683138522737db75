/* Versions as the monitors tell them. QMP's greeting gives the version of the dialect that is spoken
 * (scripts compare it) and names this program as its package. */
#ifndef DRAGOMAN_MONITOR_VERSION_H
#define DRAGOMAN_MONITOR_VERSION_H

#define DRAGOMAN_VERSION  "0.1.0"
#define QMP_DIALECT_MAJOR 7
#define QMP_DIALECT_MINOR 2
#define QMP_DIALECT_MICRO 0
#define QMP_PACKAGE       "Dragoman " DRAGOMAN_VERSION

#endif
