"""Addresses that nobody may have called, by why. `{port}` is the trap's own: a guard that is fooled runs into it."""


def _split(text: str) -> list[str]:
    return text.split()


# How an address of this machine, or of a closed network, can be spelled.
SPELLINGS = """
https://127.0.0.1:{port}/
https://127.0.0.1:{port}
HTTPS://127.0.0.1:{port}/
https://127.0.0.2:{port}/
https://127.255.255.254:{port}/
https://127.1:{port}/
https://127.0.1:{port}/
https://2130706433:{port}/
https://017700000001:{port}/
https://0x7f000001:{port}/
https://0x7f.0x0.0x0.0x1:{port}/
https://0x7f.1:{port}/
https://0177.0.0.1:{port}/
https://0177.0.0.01:{port}/
https://127.0.0.01:{port}/
https://127.000.000.001:{port}/
https://00000127.0.0.1:{port}/
https://0x7F000001:{port}/
https://127.0.0.1.:{port}/
https://127.0.0.1..:{port}/
https://127.0.0.1%00.example.org:{port}/
https://127.0.0.1%2eexample.org:{port}/
https://%31%32%37.0.0.1:{port}/
https://127%2e0%2e0%2e1:{port}/
https://１２７.０.０.１:{port}/
https://①②⑦.⓪.⓪.①:{port}/
https://127。0。0。1:{port}/
https://127．0．0．1:{port}/
https://127｡0｡0｡1:{port}/
https://0:{port}/
https://0.0.0.0:{port}/
https://00.0.0.0:{port}/
https://0x0:{port}/
https://0.0.0.0.:{port}/
https://localhost:{port}/
https://LOCALHOST:{port}/
https://LocalHost.:{port}/
https://localhost..:{port}/
https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/
https://ｌｏｃａｌｈｏｓｔ:{port}/
https://loca\u00adlhost:{port}/
https://loca\u200blhost:{port}/
https://locaſhost:{port}/
https://localhost.localdomain:{port}/
https://a.localhost:{port}/
https://ip6-localhost:{port}/
https://[::1]:{port}/
https://[::]:{port}/
https://[0:0:0:0:0:0:0:1]:{port}/
https://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/
https://[::127.0.0.1]:{port}/
https://[::7f00:1]:{port}/
https://[::ffff:127.0.0.1]:{port}/
https://[::ffff:7f00:1]:{port}/
https://[::FFFF:127.0.0.1]:{port}/
https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/
https://[::ffff:0:127.0.0.1]:{port}/
https://[64:ff9b::127.0.0.1]:{port}/
https://[64:ff9b::7f00:1]:{port}/
https://[64:ff9b:1::7f00:1]:{port}/
https://[2002:7f00:1::]:{port}/
https://[2002:7f00:1::1]:{port}/
https://[2001::7f00:1]:{port}/
https://[2001:0:7f00:1::]:{port}/
https://[::1%lo]:{port}/
https://[::1%25lo]:{port}/
https://[fe80::1%25lo]:{port}/
https://[::1].example.org:{port}/
https://[::1:{port}/
https://::1:{port}/
https://[127.0.0.1]:{port}/
https://[v1.127.0.0.1]:{port}/
https://example.org@127.0.0.1:{port}/
https://example.org:443@127.0.0.1:{port}/
https://127.0.0.1:{port}@example.org/
https://user:password@example.org:{port}/
https://@127.0.0.1:{port}/
https://example.org#@127.0.0.1:{port}/
https://example.org\\@127.0.0.1:{port}/
https://127.0.0.1:{port}\\@example.org/
https://127.0.0.1\\.example.org:{port}/
https:\\\\127.0.0.1:{port}/
https:/127.0.0.1:{port}/
https:127.0.0.1:{port}/
https:///127.0.0.1:{port}/
//127.0.0.1:{port}/
127.0.0.1:{port}/
 https://127.0.0.1:{port}/
https://127.0.0.1:{port}/ a
https:// 127.0.0.1:{port}/
https://127.0.0.1\t:{port}/
https://127.0.0.1\r\n:{port}/
https://127.0.0.1:{port}/\r\nHost: example.org
https://127.0.0.1:{port}/\nX: y
ht\ntps://127.0.0.1:{port}/
https://127.0.0.1\x00.example.org:{port}/
https://127.0.0.1:0{port}/
https://127.0.0.1:{port}:{port}/
https://127.0.0.1: {port}/
https://127.0.0.1:+{port}/
https://127.0.0.1:６５５/
https://,127.0.0.1:{port}/
https://127.0.0.1,example.org:{port}/
https://127.0.0.1;example.org:{port}/
https://-:{port}/
https://.:{port}/
https://..:{port}/
https://.127.0.0.1:{port}/
https://:{port}/
https://?127.0.0.1:{port}
https://example..org:{port}/
https://*.example.org:{port}/
https://xn--:{port}/
""".strip("\n").split("\n")

# By other means than https, whoever is called.
SCHEMES = [
    "http://127.0.0.1:{port}/",
    "http://example.org/",
    "http://93.184.215.14/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "dict://127.0.0.1:{port}/x",
    "ws://127.0.0.1:{port}/",
    "unix:///run/socket",
    "data:text/plain,x",
    "javascript:alert(1)",
    "jar:https://127.0.0.1:{port}!/",
    "tcp://127.0.0.1:{port}",
]

# Services that take a line at a time, on the address of somebody who has nothing to do with it.
PORTS = [
    f"https://push.example.org:{port}/" for port in (0, 1, 22, 25, 53, 110, 465, 587, 993, 3306, 5432, 6379, 11211)
]
PORTS += ["https://push.example.org:65536/", "https://push.example.org:-1/", "https://push.example.org:/"]

# Names that are of this machine's network, or of none.
NAMES = [
    "https://router:{port}/",
    "https://metadata:{port}/",
    "https://metadata.google.internal:{port}/",
    "https://printer.local:{port}/",
    "https://wiki.intranet:{port}/",
    "https://nas.lan:{port}/",
    "https://fritz.home:{port}/",
    "https://box.home.arpa:{port}/",
    "https://1.0.0.127.in-addr.arpa:{port}/",
    "https://x.onion:{port}/",
    "https://host.docker.internal:{port}/",
    "https://kubernetes.default.svc.cluster.local:{port}/",
]

# Where a good-looking name can lead.
PLACES = [
    "0.0.0.0",
    "0.0.0.1",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:a00:1::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.215.14",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "3ffd::1",
]
