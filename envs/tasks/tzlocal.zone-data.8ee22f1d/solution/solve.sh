#!/bin/bash
cd /testbed
zic -b fat -d /root/zones /usr/share/zoneinfo/tzdata.zi
cp --remove-destination /root/zones/Africa/Johannesburg /usr/share/zoneinfo/Africa/Johannesburg
rm -r /root/zones
