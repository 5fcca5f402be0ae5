/* The application's settings from the cloud: its broker, its client id there, its topics. */

#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_TEXT_SIZE 256u
#define SETTINGS_CA_SIZE 2048u

struct Settings {
    char broker_host[SETTINGS_TEXT_SIZE];
    uint16_t broker_port;
    char client_id[SETTINGS_TEXT_SIZE];
    /** Empty: no authentication. */
    char username[SETTINGS_TEXT_SIZE];
    char password[SETTINGS_TEXT_SIZE];
    char publish_topic[SETTINGS_TEXT_SIZE];
    char command_topic[SETTINGS_TEXT_SIZE];
    /** The authority that signed the broker's certificate, in DER. Length 0: no TLS. */
    uint8_t broker_ca[SETTINGS_CA_SIZE];
    uint32_t broker_ca_length;
};

/** Fetches the settings over their own channel. False if a required one is missing or invalid, which is logged. */
bool settings_fetch(struct Settings *settings);

#endif
