#!/bin/bash
cd /testbed
chmod 755 /testbed/build/cJSON_test
