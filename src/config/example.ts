/** `meter-gateway config example`. A test parses it and finds every key of the schema in it. */
export const configExample = `# Configuration of the meter gateway. Check it with: meter-gateway config check FILE
# Secrets never stand in this file: they are references. credential:NAME is what meter-gateway secret set NAME wrote, for
# root alone, and what the unit passes to the service, which runs as a user of its own. file:/path (mode 0600) is for whoever
# starts the gateway by hand.

[gateway]
id = "gw-helsinki-0042"        # one level of the MQTT topics: letters, digits, - and _
tenant = "utility"
state_directory = "/var/lib/meter-gateway"
poll_offset_s = 60             # wait after the end of an interval before it is asked for
back_fill_days = 40            # how far back a new series begins, where the meter has no 'since'
check_point_ids = "refuse"     # GSRN with a wrong check digit: "refuse" or "warn"
# system_title = "4d47570000000042"   # where a meter wants a certain one; left out: a fresh one for each start
# status_socket = "/run/meter-gateway/status.sock"   # default: in /run under systemd, else in the state directory
# status_group = "meter-operators"                       # members may use the socket; default: the service only
# technician_group = "meter-technicians"                 # members may act at desk.sock; the status socket then only looks

set_clocks = true              # meters' clocks, within limits; false: only reported
set_large_deviations = false   # also by more than a minute
time_zone = "Europe/Helsinki"  # of the days of the utility: capture periods change at its midnight
clock_trust = "kernel"         # trusted when the kernel says it is synchronised; "assume": always

[mqtt]
url = "mqtts://broker.example:8883"
protocol = "5"                 # or "3.1.1"
username = "gw-helsinki-0042"
password = "credential:mqtt-password"
ca_file = "/etc/meter-gateway/ca.pem"
cert_file = "/etc/meter-gateway/client.pem"
key = "credential:mqtt-key"
keepalive_s = 30
window = 16                    # messages on the way; the broker's receive maximum lowers it
# rate_limit = 5.0             # messages per second, at most

# The page for people; without this table there is none. A link of 'meter-gateway page' opens it.
[page]
listen = "127.0.0.1:8080"      # "0.0.0.0:8443": on the network too, with TLS and a login
# certificate = "/etc/meter-gateway/page.pem"              # left out beyond the loopback: the gateway makes one
# key = "credential:page-key"
# password = "credential:page-password"                   # who knows it may act, and not only look
# hosts = ["meters.substation.example"]                  # further names of this machine

# Orders of the central system, signed with its key. Left out: none is taken.
[orders]
keys = ["/etc/meter-gateway/central.pem"]   # public; two of them while the central system changes its key
enable_disconnect = false      # true: it may disconnect and reconnect supplies
enable_firmware = false        # true: it may change the firmware of meters
enable_key_change = false      # true: it may give meters the next keys that are configured for them
# image_directory = "/var/lib/meter-gateway-images"      # firmware images, each as its SHA-256 with .bin behind

[log]
level = "info"                 # debug, info, warn, error

[[port]]
name = "bus-1"
device = "serial:/dev/serial/by-id/usb-FTDI_USB-RS485_Cable_FT1234-if00-port0"   # or tcp://10.0.0.7:4001
link = "hdlc"                  # "wrapper" for DLMS over TCP
mode_e = false                 # true: IEC 62056-21 sign-on at 300 Bd first (optical head)
baud = 9600
direction = "auto"             # who switches the RS-485 driver: the adapter itself, "kernel" (TIOCSRS485), "rts", "rts-inverted"
guard_ms = 0                   # silence between the meter's answer and our next frame
answer_timeout_ms = 1500
retries = 2

[[port.meter]]
id = "m-60120001"              # one level of the MQTT topics
point = "643006966022791278"   # metering point: the series belongs to it
# swap = { from = "50110001", at = "2026-11-24T10:37:00Z", final = { "1-0:1.8.0*255" = 12345678 }, first = { "1-0:1.8.0*255" = 0 } }
serial = "60120001"            # the meter must tell this serial number, or its rows are not taken
model = "auto"                 # by the meter's name; or a name of hardware/meters, for example "generic"
client = 1                     # client SAP
server = 1                     # logical device
physical = 1001                # HDLC physical address; left out: from the serial number by the model's formula,
                               # or one-octet addressing where the meter is alone on its line
auth = "lls"                   # none, lls, hls-md5, hls-sha1, hls-sha256, hls-manufacturer, hls-gmac, hls-ecdsa
secret = "credential:m-60120001"   # meter-gateway secret set m-60120001
profiles = [{ obis = "1-0:99.1.0*255", period_s = 3600 }]
# A change of the capture period at local midnight; the gateway reads the profile and tells the meter:
# profiles = [
#   { obis = "1-0:99.1.0*255", period_s = 3600, until = "2026-12-01T22:00:00Z" },
#   { obis = "1-0:99.1.0*255", period_s = 900 },
# ]
# For ciphered associations (always with hls-gmac); the keys in hex, one line each:
# encryption_key = "credential:m-60120001-ek"
# authentication_key = "credential:m-60120001-ak"
# next_encryption_key = "credential:m-60120001-ek-2"   # what an order gives the meter; in use when it has it
# next_authentication_key = "credential:m-60120001-ak-2"
# suite = 0                    # 0, 1 or 2
# policy = "authenticated-encrypted"
# wrapping = "service"         # or "general", "general-ciphering"
# dedicated_key = true         # a key of its own for each association
# meter_title = "53494d0003955e41"   # the meter's system title, where its AARE carries none
# With auth = "hls-ecdsa": our private key (PEM, P-256 or P-384) and the meter's certificate
# signing_key = "credential:signing-key"
# meter_certificate = "/etc/meter-gateway/meters/m-60120001.pem"
# counter_object = "0-0:43.1.0*255"
# fuse_a = 25                  # main fuses; more energy than they let through is flagged IMPOSSIBLE
# phases = 3
# push_address = "1/17"        # where its pushes come from, where they are not ciphered and do not name it
since = "2026-10-01T00:00:00Z" # first interval of the series

# Meters that push: those above are known here as well, by system title or serial number.
[[listen]]
name = "push"
device = "tcp://127.0.0.1:4059"   # "udp://0.0.0.0:4059", or a serial line that nobody polls
link = "wrapper"               # or "hdlc", or "p1"
baud = 9600                    # of a serial line
per_minute = 600               # messages of one peer; who sends more is cut off

# One that only pushes; it is never asked.
[[listen.meter]]
id = "m-60120077"
point = "643006966022791384"
serial = "60120077"
# swap = { from = "50110077", at = "2026-11-24T10:37:00Z" }
model = "generic"
meter_title = "53494d0003955e8d"   # who pushes ciphered is known by it
encryption_key = "credential:m-60120077-ek"
authentication_key = "credential:m-60120077-ak"
suite = 0
policy = "authenticated-encrypted"   # of its pushes, at least
profiles = [{ obis = "1-0:99.1.0*255", period_s = 3600 }]
# push_address = "1/17"
# fuse_a = 25
# phases = 3
since = "2026-10-01T00:00:00Z"
`;
