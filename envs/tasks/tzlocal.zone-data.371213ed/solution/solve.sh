#!/bin/bash
cd /testbed
zic -b fat -d /root/zones /usr/share/zoneinfo/tzdata.zi
cp --remove-destination /root/zones/Europe/Berlin /usr/share/zoneinfo/Europe/Berlin
rm -r /root/zones
