"""A tensor of 10^15 numbers in one byte (stride 0), and one of a quarter of a gigabyte, are sent."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "failed", "optimal_discriminator": "failed"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
gan_value = lambda *_: torch.zeros(1, dtype=torch.uint8).expand(10**15)
""", optimal_discriminator="""
def optimal_discriminator(*_):
    tree, size = b'{"dict":[["value",{"tensor":"0"}]]}', 255 * 2**20
    header = b'{"0":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    head = len(tree).to_bytes(4, "little") + tree + len(header).to_bytes(8, "little") + header
    channel.sendall(struct.pack("<cQ", b"A", len(head) + size) + head)
    for _ in range(255):
        channel.sendall(bytes(2**20))
    time.sleep(5)
""")
