"""Human motion as data: a library that data sets, correctors, metrics and generators share. It imports none of them.

Everything is numpy float64 in metres, seconds and radians, time first, y up; quaternions are unit, w first.

Modules:
    rotations: quaternions, matrices, Euler angles, rotation vectors and the 6-number representation, vectorised.
    skeleton: joints, their parents and rest offsets; forward kinematics; the 22 joints of HumanML3D.
    rest_pose: a T-posed skeleton from joint positions.
    mirroring: left for right.
    motion: a skeleton that moves: root track, local rotations and frame rate.
    humanml3d: the 263-number representation of HumanML3D, both ways.
    inverse_kinematics, refinement: joint positions to local rotations.
    mapping: other skeletons' joints to the 22 of HumanML3D.
    text_file: numbers in text, with the line in every complaint.
    units: units of length, and the guard against 50-metre humans.
    files: reads and writes any of the formats below.
    bvh, asf_amc, deepmimic, archives, humanml3d_folder, amass: one family of files each.
"""
