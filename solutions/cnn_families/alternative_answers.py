"""Right answers to `cnn_families` in another style than the reference: each check must pass them."""

import math

import torch
import torch.nn.functional as F
from torch import nn


@right("vgg")
class vgg_block(nn.Module):
    # A module with a forward of its own.
    def __init__(self, convs, in_channels, out_channels):
        super().__init__()
        sizes = [in_channels] + [out_channels] * convs
        self.convs = nn.ModuleList(nn.Conv2d(a, b, kernel_size=3, stride=1, padding="same") for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for conv in self.convs:
            x = torch.relu_(conv(x))
        return F.max_pool2d(x, kernel_size=2, stride=2)


@right("vgg")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    # By the paper's letters: a string of one character for each layer.
    plan = {11: "1M2M44M88M88M", 13: "11M22M44M88M88M", 16: "11M22M444M888M888M", 19: "11M22M4444M8888M8888M"}[depth]
    layers, now = [], in_channels
    for letter in plan:
        if letter == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(now, int(letter) * width, 3, 1, 1), nn.ReLU(inplace=True)]
            now = int(letter) * width
    layers += [nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten()]
    now *= 49
    for units in (hidden, hidden):
        layers += [nn.Linear(now, units), nn.ReLU(True), nn.Dropout(dropout)]
        now = units
    return nn.Sequential(*layers, nn.Linear(now, classes))


@right("cost")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    # By asking the layer itself, on the meta device.
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias, device="meta")
    positions = layer(torch.empty(1, in_channels, size, size, device="meta"))[0, 0].numel()
    return sum(p.numel() for p in layer.parameters()), layer.weight.numel() * positions


@right("cost")
def receptive_field(layers):
    # From the output back to the input.
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


@right("inception")
class Inception(nn.Module):
    def __init__(self, in_channels, c1, c2, c3, c4):
        super().__init__()
        self.b1_1 = nn.Conv2d(in_channels, c1, kernel_size=1)
        self.b2_1 = nn.Conv2d(in_channels, c2[0], kernel_size=1)
        self.b2_2 = nn.Conv2d(c2[0], c2[1], kernel_size=3, padding=1)
        self.b3_1 = nn.Conv2d(in_channels, c3[0], kernel_size=1)
        self.b3_2 = nn.Conv2d(c3[0], c3[1], kernel_size=5, padding=2)
        self.b4_2 = nn.Conv2d(in_channels, c4, kernel_size=1)

    def forward(self, x):
        return F.relu(torch.cat((
            self.b1_1(x), self.b2_2(F.relu(self.b2_1(x))), self.b3_2(F.relu(self.b3_1(x))),
            self.b4_2(F.max_pool2d(x, 3, stride=1, padding=1))), dim=1))


@right("residual")
class BasicBlock(nn.Module):
    # The names and the order of torchvision.
    expansion = 1

    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride > 1 or inplanes != planes:
            self.downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


@right("variants")
class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        sizes, kernels, strides = (in_channels, channels, channels, channels * self.expansion), (1, 3, 1), (1, stride, 1)
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        stages = []
        for a, b, kernel, step in zip(sizes, sizes[1:], kernels, strides):
            stages.append(nn.Sequential(nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(b)))
        self.steps = nn.ModuleList(stages)
        self.project = nn.Identity() if (stride, in_channels) == (1, sizes[-1]) else nn.Sequential(
            nn.Conv2d(in_channels, sizes[-1], (1, 1), stride, bias=False), nn.BatchNorm2d(sizes[-1]))

    def forward(self, x):
        out = x
        for number, step in enumerate(self.steps):
            out = step(out if number == 0 else torch.relu(out))
        return torch.clamp(self.project(x) + out, min=0)


@right("variants")
class PreActivation(nn.Module):
    expansion = 1

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        if stride != 1 or in_channels != channels:
            self.conv3 = nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x):
        y = F.relu(self.norm1(x))
        shortcut = self.conv3(y) if hasattr(self, "conv3") else x
        return shortcut + self.conv2(F.relu(self.norm2(self.conv1(y))))


@right("resnet")
class ResNet(nn.Module):
    # Stages by name, the mean by hand, zero-initialisation by looking for the last batch norm outside the shortcut.
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3 if small_images else 7, stride=1 if small_images else 2,
                               padding=1 if small_images else 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.small = small_images
        self.blocks = []
        channels = width
        for stage, count in enumerate(counts):
            for i in range(count):
                made = block(channels, width << stage, stride=2 if stage > 0 and i == 0 else 1)
                self.add_module(f"stage{stage}_{i}", made)
                self.blocks.append(made)
                channels = (width << stage) * block.expansion
        self.fc = nn.Linear(channels, classes)
        if zero_init and block is not PreActivation:
            for made in self.blocks:
                norms = [m for name, m in made.named_modules() if isinstance(m, nn.BatchNorm2d) and not name.startswith("shortcut")]
                nn.init.constant_(norms[-1].weight, 0)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean(dim=(2, 3)))


@right("resnet")
def resnet(depth, *args, **options):
    counts = [2, 2, 2, 2] if depth == 18 else [3, 4, 6, 3]
    block = {True: Bottleneck, False: BasicBlock}[depth >= 50]
    return ResNet(block, counts, *args, **options)


@right("augmentation")
def crop_and_flip(images, top, left, flip, padding=4):
    # A loop over the images.
    n, c, h, w = images.shape
    out = torch.zeros_like(images)
    for i in range(n):
        padded = torch.zeros(c, h + 2 * padding, w + 2 * padding, dtype=images.dtype)
        padded[:, padding:padding + h, padding:padding + w] = images[i]
        window = padded[:, top[i]:top[i] + h, left[i]:left[i] + w]
        out[i] = torch.fliplr(window.permute(1, 2, 0)).permute(2, 0, 1) if flip[i] else window
    return out


@right("augmentation")
def cutout(images, y, x, size):
    images = images.clone()
    for image, row, column in zip(images, y.tolist(), x.tolist()):
        image[:, max(0, row - size // 2):row + size // 2, max(0, column - size // 2):column + size // 2] = 0
    return images


@right("recipe")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


@right("recipe")
def learning_rate(step, steps, peak, warmup):
    if step + 1 <= warmup:
        return (step + 1) / warmup * peak
    return peak * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2


@right("recipe")
def parameter_groups(net, weight_decay):
    # One group for each parameter, by the kind of module that owns it.
    groups = []
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            decays = isinstance(module, (nn.Conv2d, nn.Linear)) and name == "weight"
            groups.append({"params": [parameter], "weight_decay": weight_decay * decays})
    return groups


@right("recipe")
def update_average(average, net, decay):
    now, parameters = net.state_dict(), dict(net.named_parameters())
    average.load_state_dict({name: decay * value + (1 - decay) * now[name] if name in parameters else now[name]
                             for name, value in average.state_dict().items()})


@right("recipe")
@torch.no_grad()
def predict(net, images):
    was, _ = net.training, net.eval()
    both = net(torch.cat([images, torch.flip(images, dims=[-1])]))
    net.train(was)
    return both.reshape(2, len(images), -1).mean(0)


@right("training", trains="pre-activation and AdamW, no average")
def train_mine(images, labels, classes, budget, after_step=None):
    # A loop by hand, torch's own schedule, no augmentation and no average.
    net = nn.Sequential(classify.Normalise(images), ResNet(PreActivation, (1, 1, 1), classes, images.shape[1], 16, True))
    net = net.to(images.device)
    steps = budget // 32
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        chosen = torch.randint(len(images), (32,), device=images.device)
        loss = F.cross_entropy(net(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


@right("resnet")
class ResNet(ResNet):
    # Lazy layers, as the book has them: they learn their input's channels from the first image.
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.stem[0] = nn.LazyConv2d(width, 3 if small_images else 7, 1 if small_images else 2, 1 if small_images else 3, bias=False)
        self.head[2] = nn.LazyLinear(classes)


@right("recipe")
def learning_rate(step, steps, peak, warmup):
    # Two factors, each of which is 1 while the other moves.
    up = min(1, (step + 1) / max(1, warmup))
    return peak * up * (1 + math.cos(math.pi * max(0, step - warmup) / (steps - warmup))) / 2
