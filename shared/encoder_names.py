"""Names of the frozen encoders and how wide a feature is; what they are stands in client/prepare."""

__all__ = ["ENCODER_WIDTHS", "TEXT_ENCODER_WIDTHS"]

_TORCHVISION: dict[int, str] = {
    400: "regnet_x_400mf",
    440: "regnet_y_400mf",
    512: "maxvit_t resnet18 resnet34 squeezenet1_0 squeezenet1_1",
    672: "regnet_x_800mf",
    768: "convnext_small convnext_tiny swin_s swin_t swin_v2_s swin_v2_t vit_b_16 vit_b_32",
    784: "regnet_y_800mf",
    888: "regnet_y_1_6gf",
    912: "regnet_x_1_6gf",
    1008: "regnet_x_3_2gf",
    1024: "convnext_base densenet121 googlenet mobilenet_v3_small shufflenet_v2_x0_5 shufflenet_v2_x1_0 "
    "shufflenet_v2_x1_5 swin_b swin_v2_b vit_l_16 vit_l_32",
    1280: "efficientnet_b0 efficientnet_b1 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s mnasnet0_5 "
    "mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large vit_h_14",
    1408: "efficientnet_b2",
    1512: "regnet_y_3_2gf",
    1536: "convnext_large efficientnet_b3",
    1664: "densenet169",
    1792: "efficientnet_b4",
    1920: "densenet201 regnet_x_8gf",
    2016: "regnet_y_8gf",
    2048: "efficientnet_b5 inception_v3 regnet_x_16gf resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d "
    "resnext101_64x4d shufflenet_v2_x2_0 wide_resnet50_2 wide_resnet101_2",
    2208: "densenet161",
    2304: "efficientnet_b6",
    2520: "regnet_x_32gf",
    2560: "efficientnet_b7",
    3024: "regnet_y_16gf",
    3712: "regnet_y_32gf",
    4096: "alexnet vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn",
    7392: "regnet_y_128gf",
}

ENCODER_WIDTHS: dict[str, int] = {
    **{name: width for width, names in _TORCHVISION.items() for name in names.split()},
    "resnet50_layer3": 1024,  # ResNet-50 up to its third block, as CLAM cuts it
}
"""Encoder name -> numbers in one feature. Another name is a model that sites hold as a file; its study states `dim`."""

TEXT_ENCODER_WIDTHS: dict[str, int] = {"all-minilm-l6-v2": 384, "biobert-base-cased-v1.2": 768}
"""Text encoder name -> numbers in one feature. Any other BERT: its study states `text_dim`."""
