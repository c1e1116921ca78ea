/** Every group of common architectures is pruned, alone and together, and each result held against every promise. */
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/graph/graph';
import * as detection from '../support/architectures/detection';
import * as mobile from '../support/architectures/mobile';
import * as residual from '../support/architectures/residual';
import * as transformer from '../support/architectures/transformer';
import { checkArchitecture, openGroups } from '../support/channels';

interface Architecture {
  readonly graph: Graph;
  /** As `openGroups` says them. */
  readonly open: string;
  /** Layers that keep their outputs, with a part of the reason. */
  readonly fixed?: Readonly<Record<string, string>>;
}

const architectures: Record<string, Architecture> = {
  'ResNet of basic blocks': {
    graph: residual.basicResNet(),
    open: 'stem 8, a.conv1 8, b.conv1 12, b.conv2 12, c.conv1 12',
  },
  'ResNet of bottlenecks': {
    graph: residual.bottleneckResNet(),
    open: 'stem 8, a.conv1 8, a.conv2 8, a.conv3 16, b.conv1 8, b.conv2 8',
  },
  ResNeXt: { graph: residual.bottleneckResNet(4), open: 'stem 8, a.conv1 4×2, a.conv3 16, b.conv1 4×2' },
  'pre-activation ResNet': { graph: residual.preActivationResNet(), open: 'stem 8, a.conv1 6, b.conv1 6' },
  'ResNet with padded shortcuts': {
    graph: residual.paddedResNet(false),
    open: 'stem 6, a.conv1 12, a.conv2 6*, b.conv1 18, b.conv2 6*',
  },
  'ResNet with computed pads': {
    graph: residual.paddedResNet(true),
    open: 'stem 6, a.conv1 12, a.conv2 6*, b.conv1 18, b.conv2 6*',
  },
  VGG: { graph: residual.vgg(), open: 'conv0 6, conv1 8, conv2 10, fc1 12', fixed: { fc2: "the model's output" } },
  'VGG, channels last': {
    graph: residual.vgg({ channelsLast: true }),
    open: 'conv0 6, conv1 8, conv2 10, fc1 12',
    fixed: { fc2: "the model's output" },
  },
  DenseNet: {
    graph: residual.denseNet(),
    open: 'stem 6, a.0.conv1 8, a.0.conv2 4, a.1.conv1 8, a.1.conv2 4, a.2.conv1 8, a.2.conv2 4, transition 8, b.0.conv1 8, b.0.conv2 4, b.1.conv1 8, b.1.conv2 4, b.2.conv1 8, b.2.conv2 4',
  },
  Inception: {
    graph: residual.inception(),
    open: 'stem 8, a.1x1 4, a.3x3r 6, a.3x3 6, a.5x5r 4, a.5x5 5, a.pool 3, b.1x1 4, b.3x3r 6, b.3x3 6, b.5x5r 4, b.5x5 5, b.pool 3',
  },
  'MobileNet 1': { graph: mobile.mobileNet1(), open: 'stem 6, pw0 8, pw1 12' },
  'MobileNet 2': { graph: mobile.mobileNet2(), open: 'stem 6, a.expand 12, b.expand 12, b.project 8, c.expand 12' },
  'MobileNet 3': {
    graph: mobile.mobileNet3('mobileNet3'),
    open: 'stem 6, a.expand 12, a.se.fc1 4, b.expand 12, b.se.fc1 4',
  },
  EfficientNet: {
    graph: mobile.mobileNet3('efficientNet'),
    open: 'stem 6, a.expand 12, a.se.fc1 4, b.expand 12, b.se.fc1 4',
  },
  'ShuffleNet 1': { graph: mobile.shuffleNet1(), open: 'stem 8×2, a.gconv1 4×4, b.gconv1 4×4' },
  'ShuffleNet 2': { graph: mobile.shuffleNet2(), open: 'stem 4, stem#2 4, stem#3 8, a.conv1 8, b.conv1 8' },
  ConvNeXt: { graph: mobile.convNeXt(), open: 'stem 8~, a.fc1 16, b.fc1 16' },
  'U-Net with transposed convolutions': {
    graph: detection.uNet('transposed'),
    open: 'down0 6, down1 8, bottom 10, up0 8, join0 8, up1 6, join1 6',
    fixed: { mask: 'a single output channel' },
  },
  'U-Net, resized by scales': {
    graph: detection.uNet('scales'),
    open: 'down0 6, down1 8, bottom 10, join0 8, join1 6',
    fixed: { mask: 'a single output channel' },
  },
  'U-Net, resized to sizes': {
    graph: detection.uNet('sizes'),
    open: 'down0 6, down1 8, bottom 10, join0 8, join1 6',
    fixed: { mask: 'a single output channel' },
  },
  SSD: {
    graph: detection.ssd(),
    open: 'base0 8, base1 10',
    fixed: {
      boxes0: "the model's output 'boxes'",
      boxes1: "the model's output 'boxes'",
      scores0: "the model's output 'scores'",
      scores1: "the model's output 'scores'",
    },
  },
  YOLO: {
    graph: detection.yolo(),
    open: 'base0 8, base1 10, lead 4',
    fixed: { detect0: "the model's output", detect1: "the model's output" },
  },
  'vision transformer': {
    graph: transformer.vit(),
    open: 'patch 12~, a.attention.qkv 3×12, a.fc1 16, b.attention.qkv 3×12, b.fc1 16',
  },
  encoder: {
    graph: transformer.encoder(),
    open: 'a.attention.q 3×4, a.attention.out 12~, a.fc1 16, b.attention.q 3×4, b.fc1 16',
  },
};

describe.each(Object.entries(architectures))('%s', (_name, { graph, open, fixed = { head: "the model's output" } }) => {
  it('loses channels alone and together', async () => {
    const groups = await checkArchitecture(graph);
    expect(openGroups(groups)).toBe(open);
    const kept = groups.layers.filter(({ reason }) => reason !== null);
    expect(kept.map(({ layer }) => layer)).toEqual(Object.keys(fixed));
    for (const { layer, reason } of kept) expect(reason).toContain(fixed[layer]);
  });
});
