#!/bin/bash
cd /testbed
chmod 644 /usr/share/zoneinfo/Africa/Johannesburg
